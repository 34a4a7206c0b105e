"""Making the data that reason_edit learns from and is scored on."""
