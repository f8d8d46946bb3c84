"""Where a preset's folder comes from: hubs, their caches, installed packages, local folders."""
