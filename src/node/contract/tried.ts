/**
 * What a node tries again and again:
 *
 * - `storage`: to write to its disk again, after it failed;
 * - `room`: to take writes that need room on the disk; removals are taken all the same;
 * - `facts`: to note on its disk what it promised or began;
 * - `follow`: to follow the active, a restore included;
 * - `hold`: to be let serve by an operator, or by the return of those who may have more;
 * - `fetch`: to fetch what it lacks before it serves;
 * - `promotion`: to begin its tenure;
 * - `gate`: to get the consent of the application's gate;
 * - `wait`: to hear of those who may have newer data, at its start;
 * - `search`: to find or become an active, for longer than a search takes where nothing is in its
 *   way;
 * - `dial`: to reach the node that it is to be restored from.
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
