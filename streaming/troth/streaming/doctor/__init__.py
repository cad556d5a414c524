"""`troth doctor`: what is wrong with a session, from what its roles have left behind or say now."""
