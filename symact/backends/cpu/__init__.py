"""The C++ block interpreter, compiled once, and the bytecode that it runs."""
