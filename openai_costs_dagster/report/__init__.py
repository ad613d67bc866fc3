"""What people look at: pictures and pages made of figures that others computed."""
