/** One break of a safety rule. */
export interface Mutant {
  readonly id: string
  /** Below the root of the project. */
  readonly file: string
  /** Code that occurs exactly once in the file; line breaks in it do not matter. */
  readonly before: string
  /** The code that replaces it. */
  readonly after: string
  /** The rule that it breaks, in words. */
  readonly rule: string
  /** Profiles of the simulator that likely notice; otherwise the seed decides. */
  readonly profiles?: readonly string[]
  /** Test files that likely notice. */
  readonly tests?: readonly string[]
}

export function readMutants(): Promise<Mutant[]>

/** @throws when the code is not there exactly once */
export function patched(source: string, mutant: Mutant): string
