/* The link server: answers a host that drives the model over a byte stream.  docs/link.md has the protocol. */
#ifndef ET_LINK_H
#define ET_LINK_H

/* Serves requests until the host says EXIT or the input ends. */
void et_link_serve(void);

/* Tells the host that the firmware has faulted; for the board's exception handlers, which then halt. */
void et_link_fault(void);

#endif
