/* What was built; tools/revision says it, and build/gen/revision.c holds it. */
#ifndef RS_REVISION_H
#define RS_REVISION_H

/* The commit's short hash, with -dirty if files had changed; "" where nobody knew it. */
extern const char revision[];

#endif
