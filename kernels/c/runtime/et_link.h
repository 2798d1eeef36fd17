/* The link server: answers a host that drives the model over a byte stream.  docs/link.md has the protocol. */
#ifndef ET_LINK_H
#define ET_LINK_H

/* Serves requests until the host says EXIT or the input ends. */
void et_link_serve(void);

#endif
