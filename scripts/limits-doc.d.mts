/** The tables of docs/limits.md, with the numbers and the doc comments as they are now. */
export function limitsTables(): string

/** The numbers in the sources, and names of the script's layouts that no constant has. */
export function limits(): {
  limits: readonly { readonly name: string }[]
  layouts: readonly { readonly name: string }[]
  stale: readonly string[]
}
