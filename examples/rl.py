"""A search by reinforcement learning as a file to change: a recurrent controller, trained by PPO.

python rl.py [EVALUATIONS] [RUN_FOLDER]
"""

import sys

import symact
from symact.report.leaderboard import leaderboard

if __name__ == "__main__":
    evaluations = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    run = sys.argv[2] if len(sys.argv) > 2 else None
    space = symact.load_grammar("ramachandran").space("unit")
    with symact.Study(space, "digits-shifted", "rl", run=run, seed=0) as study:
        study.run(evaluations, progress=lambda now: print(f"{now.phase}: {now.evaluations} of {now.total}", end="\r"))
        rows = leaderboard(study.trials, study.confirmations)
    for row in rows[:5]:
        versus = row.versus_relu
        print(f"{row.trial.score:.4f}  {row.expression}", f" {versus.difference:+.4f} to ReLU" if versus else "")
