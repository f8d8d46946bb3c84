"""What a picture file is: which kind, whether it is whole, how it is read."""
