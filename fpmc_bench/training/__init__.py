"""A training session: the loop around the steps, and what it leaves beside the teacher."""
