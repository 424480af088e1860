"""What the endpoints answer, declared once by resource in the notation of `growy.web.shape`. Values only."""
