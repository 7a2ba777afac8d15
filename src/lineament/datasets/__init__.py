"""Labeled photos: every reader of them, and the source of their embeddings with its cache.

people_folder                 one folder per person, numbered files, or photos without names
pair_lists, lfw, agedb, cfp   published sets of pairs; pair_lists reads CALFW and CPLFW
insightface_bin               lfw.bin, cfp_fp.bin, ...
ytf, ijb                      videos; templates
pairs_csv, attributes         pairs and attributes of your own
wider                         photos with all their faces annotated
text                          text files: what the readers share
safe_pickle, matlab           formats, read without executing anything
source, cache                 photos -> embeddings, kept on the disk
"""
