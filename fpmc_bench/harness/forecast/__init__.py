"""What a run is going to take, told before anything long runs: time, memory, disk."""
