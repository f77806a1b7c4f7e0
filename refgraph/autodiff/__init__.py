"""Derivatives: graphs to graphs. `reverse` (grad, Lop), `forward` (Rop), and what is made of them."""
