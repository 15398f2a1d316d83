"""The language: text <-> `Expr`, grammars and their spaces; no evaluators, no torch."""
