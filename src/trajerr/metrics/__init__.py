"""How wrong: pure functions of arrays, from one error to a replay of a whole print."""
