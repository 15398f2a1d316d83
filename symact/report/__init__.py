"""Store -> tables, pictures, one HTML page; reads and never writes the store."""
