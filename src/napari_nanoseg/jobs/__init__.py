"""Jobs: generators of events, one file each; free of any GUI."""
