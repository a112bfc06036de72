"""What tests share, and what a person may run by hand: stand-ins for services, over real HTTP."""
