"""What `vla doctor` looks at: `machine` reads facts, `probes` tries things out in processes of their own."""
