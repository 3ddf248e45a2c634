/**
 * What a node tries repeatedly, or waits for:
 *
 * - `storage`: to write to its disk again after a failure;
 * - `room`: to accept writes that need space on the disk; removals are always accepted;
 * - `facts`: to record on its disk what it has promised or begun;
 * - `follow`: to follow the active, including a restore;
 * - `hold`: for an operator, or for the return of members that may have more;
 * - `fetch`: to fetch what it lacks before it serves;
 * - `promotion`: to begin its tenure;
 * - `gate`: to get the consent of the application's gate;
 * - `wait`: at its start, for members that may have newer data;
 * - `search`: to find or become an active, for longer than an undisturbed search takes;
 * - `dial`: to reach the node that it restores from.
 */
export type Tried =
  | 'storage'
  | 'room'
  | 'facts'
  | 'follow'
  | 'hold'
  | 'fetch'
  | 'promotion'
  | 'gate'
  | 'wait'
  | 'search'
  | 'dial'
