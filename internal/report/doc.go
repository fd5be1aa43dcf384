// Package report writes plans, verdicts, problems, results and whole reports as
// text for people (terminal, Markdown, a pull request's comment) and for
// programs (JSON, SARIF, GitHub workflow commands).
//
// Values were masked when the plan was made (package diff); this package only
// sees what may be shown. It guards the reader instead: no control character
// reaches a terminal, no user's string can break out of a code fence, mention
// someone, or start a command of a forge, and a comment fits its byte budget.
//
// Charter: pure. In: values of package core. Out: text, to an io.Writer or as a
// string. No client, no net, no os, no clock.
package report
