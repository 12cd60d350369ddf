"""Writers: output formats that are written during a sweep."""
