"""For those who write ops and backends: cases made from what ops declare, and checks that hold each to its word."""
