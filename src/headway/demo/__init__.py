"""The demonstration: a decision goes the whole way on 336,776 real flights, and stays alive for three months."""
