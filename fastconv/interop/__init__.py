"""Other libraries' ways into fastconv: one module a library, each imported only when asked for."""
