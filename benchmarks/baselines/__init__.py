"""What our functions are compared with, as competent people would write it."""
