"""The routes that the page (web/) calls before anything runs."""
