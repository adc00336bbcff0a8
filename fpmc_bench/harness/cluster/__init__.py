"""Processes, on one machine or many: how they meet, agree, reach each other, and end."""
