// The screens, each with the least role and the routes that it needs. One whose routes a server
// does not have is left out.

import { Account } from "./screens/account.js";
import { Users } from "./screens/users.js";
import { Verify } from "./screens/verify.js";

export const SECTIONS = ["faces", "galleries", "service", "admin"];

export const SCREENS = [
  { name: "verify", section: "faces", role: "verify", routes: ["POST /v1/compare"], screen: Verify },
  { name: "users", section: "admin", role: "admin", routes: ["GET /v1/users"], screen: Users },
  { name: "account", section: null, role: "verify", routes: [], screen: Account },
];
