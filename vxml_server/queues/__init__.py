"""Queues and agents: who waits for whom, who is offered to whom, and what became of it.

The heart is pure: `profiles` are the operator's definitions, `rows` the state, `transitions` how it
changes, `matching` who is offered to whom. Around it: the ledger keeps rows and facts in the
database, the dispatcher makes offers on telephones.
"""
