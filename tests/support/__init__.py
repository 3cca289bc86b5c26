"""What the Python tests share: processes, course directories, networks of their own."""
