// Package drift remembers what has drifted: since when, how often, who did it, and
// what became of it. From that it knows what one look at a cluster cannot tell:
//
//   - that hardware has differed for long enough to count (label publishers
//     restart, and take their labels with them for a minute), and that it has been
//     well for long enough to end a precaution;
//   - that a field is rewritten by the same manager each time it is put back, so
//     that putting it back once more only feeds a fight.
//
// A Ledger is taken through each pass: Begin, Hardware, See, Settle. What it holds
// can be saved as one bounded document and loaded again.
//
// Charter: pure. It knows core, is told the time, and reads nothing else: no
// clock, no client, no net, no os.
package drift
