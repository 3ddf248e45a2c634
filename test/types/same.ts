/** `true` for two types that are the same in both directions, not only assignable. */
export type Same<Left, Right> =
  (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false

/** Compiles only for `true`. */
export function equal<_Is extends true>(): void {}
