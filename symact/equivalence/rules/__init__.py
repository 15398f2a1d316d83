"""What is proved without numbers: normal forms and rewriting rules with domain guards."""
