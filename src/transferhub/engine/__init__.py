"""Finds, copies and proves; knows stores and the ledger by their ports only."""
