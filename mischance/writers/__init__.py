"""Writers: files for people and programs that come after."""
