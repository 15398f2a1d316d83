"""An evolutionary search as a file to change: your grammar, your task, your numbers.

python evolution.py [EVALUATIONS] [RUN_FOLDER]
"""

import sys

import symact
from symact.report.leaderboard import leaderboard

GRAMMAR = """
name = "mine"
[unary]
identity = "x"
relu = "relu(x)"
elu = "elu(x)"
swish = "x*sigmoid(x)"
tanh = "tanh(x)"
softplus = "softplus(x)"
[binary]
add = "a + b"
mul = "a*b"
max = "max(a, b)"
[spaces]
main = ["unary(x)", "binary(unary(x), unary(x))", "unary(binary(unary(x), unary(x)))"]
"""

if __name__ == "__main__":
    evaluations = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    run = sys.argv[2] if len(sys.argv) > 2 else None
    space = symact.parse_grammar(GRAMMAR).space("main")
    study = symact.Study(space, "digits-shifted", "evolution", run=run, seed=0, repeats=1)
    study.run(evaluations)
    for row in leaderboard(study.trials, study.confirmations)[:5]:
        versus = row.versus_relu
        print(f"{row.trial.score:.4f}  {row.expression}", f" {versus.difference:+.4f} to ReLU" if versus else "")
