"""What our functions are compared with, written as well as the people who would write it do."""
