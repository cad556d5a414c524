"""The two parties of a session: what their programs ask for, and the commands that start them."""
