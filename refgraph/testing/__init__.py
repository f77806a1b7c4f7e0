"""For those who write ops and backends: cases made from the declarations of ops, and checks that hold each to its word."""
