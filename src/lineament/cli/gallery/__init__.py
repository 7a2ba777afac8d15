"""The gallery's commands, each family in a file of its own.

enroll           enroll
enroll_folder    enroll-folder; folders lists its photos, refusals reports
identify         identify; pictures draws
people           people, show
changes          remove, rename, merge, annotate
exchange         export, import
upkeep           reindex, migrate
opening          which gallery, and the recognizer that it was made with
values           KEY=VALUE, and filters
"""
