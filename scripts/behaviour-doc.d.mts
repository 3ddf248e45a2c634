/** The text of docs/behaviour.md, with the tests as they are now. */
export function behaviourDocument(): string
