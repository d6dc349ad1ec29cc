"""What a fit says: draws in, numbers with labels out."""
