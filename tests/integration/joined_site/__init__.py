"""The site of several hosts: each says who it is, and writes down what it is told."""
