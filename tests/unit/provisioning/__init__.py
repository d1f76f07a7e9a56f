"""What sets AEP up, against the stand-in of its APIs."""
