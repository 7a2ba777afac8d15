"""Stage 5: two embeddings -> a Decision.

metrics             how alike two embeddings are
siamese             the learned similarity of a model, where it has one
comparison          two embeddings and a threshold -> a Decision
thresholds          of a model, for a wanted false match rate, or set by hand
calibration         what a score means: probabilities, thresholds with their interval
operating_points    thresholds of a calibration
judge               how sure a decision is, or "undecided" and why
agreement           which photos said to be of one person are unlike the others
fusion              the scores of several embedders as one
"""
