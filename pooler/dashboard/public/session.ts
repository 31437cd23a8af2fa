// Who is signed in, for every page below.
import { createContext } from 'preact'
import type { Profile } from './shapes.ts'

export interface SignedIn {
  readonly profile: Profile
  readonly signOut: () => Promise<void>
}

export const SessionContext = createContext<SignedIn | null>(null)
