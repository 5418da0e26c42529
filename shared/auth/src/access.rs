//! The decision whether one caller may call an RPC.

use zerocart_proto::access::{Access, Role};

use crate::Identity;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The RPC needs a token, and there is none (gRPC UNAUTHENTICATED, HTTP 401).
    #[error("a token is required")]
    Unauthenticated,
    /// The caller is known, and is not allowed (gRPC PERMISSION_DENIED, HTTP 403).
    #[error("the caller may not do this")]
    PermissionDenied,
}

/// Decides whether `identity` may call an RPC with this `access`.
///
/// `subject_field` is the value of the request's field [`Access::self_field`]; it is ignored when
/// `access` names no such field. For an RPC with [`Access::owner`] this is the first half of the
/// decision: the handler makes the second with [`authorize_owner`].
///
/// # Errors
///
/// [`Denied::Unauthenticated`] without an identity, [`Denied::PermissionDenied`] with the wrong one.
pub fn authorize(
    access: &Access,
    identity: Option<&Identity>,
    subject_field: Option<&str>,
) -> Result<(), Denied> {
    if access.anyone {
        return Ok(());
    }
    let identity = identity.ok_or(Denied::Unauthenticated)?;
    let by_role = access.roles.contains(&identity.role);
    let by_self =
        access.self_field.is_some() && subject_field.is_some_and(|field| identity.owns(field));
    let by_ownership = access.owner && identity.role == Role::Customer;
    if by_role || by_self || by_ownership {
        Ok(())
    } else {
        Err(Denied::PermissionDenied)
    }
}

/// Decides whether `identity` may see or change a row that belongs to the user `owner_id`.
///
/// A caller with a role of [`Access::roles`] may do so for every row, a customer only for its own
/// rows. For an RPC without [`Access::owner`] only the roles count.
///
/// # Errors
///
/// As [`authorize`].
pub fn authorize_owner(
    access: &Access,
    identity: Option<&Identity>,
    owner_id: &str,
) -> Result<(), Denied> {
    authorize(access, identity, None)?;
    let by_role = |identity: &Identity| access.roles.contains(&identity.role);
    let by_ownership = |identity: &Identity| access.owner && identity.owns(owner_id);
    if access.anyone || identity.is_some_and(|caller| by_role(caller) || by_ownership(caller)) {
        Ok(())
    } else {
        Err(Denied::PermissionDenied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Issuer;

    const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";
    const OTHER: &str = "018f4e9a-7c1b-7def-8000-000000000002";

    fn identity(role: Role) -> Identity {
        let issuer = if role == Role::Service {
            Issuer::Service
        } else {
            Issuer::User
        };
        Identity {
            subject: ME.to_owned(),
            role,
            issuer,
            generation: 0,
        }
    }

    const NOBODY: Access = Access {
        anyone: false,
        roles: &[],
        self_field: None,
        owner: false,
    };

    /// The kinds of access that the contract uses, with what each caller gets when the request
    /// names (itself, another user, nobody).
    #[test]
    fn the_contract() {
        use Denied::{PermissionDenied as Perm, Unauthenticated as Unauth};
        const OK: Result<(), Denied> = Ok(());
        type Row = (Option<Role>, [Result<(), Denied>; 3]);
        let table: [(&str, Access, [Row; 4]); 9] = [
            (
                "create-user: anyone",
                Access {
                    anyone: true,
                    ..NOBODY
                },
                [
                    (None, [OK, OK, OK]),
                    (Some(Role::Customer), [OK, OK, OK]),
                    (Some(Role::Admin), [OK, OK, OK]),
                    (Some(Role::Service), [OK, OK, OK]),
                ],
            ),
            (
                "get-user: that user, admin",
                Access {
                    roles: &[Role::Admin],
                    self_field: Some("id"),
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [OK, Err(Perm), Err(Perm)]),
                    (Some(Role::Admin), [OK, OK, OK]),
                    (Some(Role::Service), [OK, Err(Perm), Err(Perm)]),
                ],
            ),
            (
                "create-product: admin",
                Access {
                    roles: &[Role::Admin],
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [Err(Perm); 3]),
                    (Some(Role::Admin), [OK, OK, OK]),
                    (Some(Role::Service), [Err(Perm); 3]),
                ],
            ),
            (
                "update-inventory: admin, service",
                Access {
                    roles: &[Role::Admin, Role::Service],
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [Err(Perm); 3]),
                    (Some(Role::Admin), [OK, OK, OK]),
                    (Some(Role::Service), [OK, OK, OK]),
                ],
            ),
            (
                "get-cart: that user, admin, service",
                Access {
                    roles: &[Role::Admin, Role::Service],
                    self_field: Some("user_id"),
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [OK, Err(Perm), Err(Perm)]),
                    (Some(Role::Admin), [OK, OK, OK]),
                    (Some(Role::Service), [OK, OK, OK]),
                ],
            ),
            (
                "create-order: that user; an admin is not that user",
                Access {
                    self_field: Some("user_id"),
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [OK, Err(Perm), Err(Perm)]),
                    (Some(Role::Admin), [OK, Err(Perm), Err(Perm)]),
                    (Some(Role::Service), [OK, Err(Perm), Err(Perm)]),
                ],
            ),
            (
                "get-order: its owner, admin",
                Access {
                    roles: &[Role::Admin],
                    owner: true,
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [OK, OK, OK]),
                    (Some(Role::Admin), [OK, OK, OK]),
                    (Some(Role::Service), [Err(Perm); 3]),
                ],
            ),
            (
                "owner only: an admin owns nothing by its role",
                Access {
                    owner: true,
                    ..NOBODY
                },
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [OK, OK, OK]),
                    (Some(Role::Admin), [Err(Perm); 3]),
                    (Some(Role::Service), [Err(Perm); 3]),
                ],
            ),
            (
                "nobody",
                NOBODY,
                [
                    (None, [Err(Unauth); 3]),
                    (Some(Role::Customer), [Err(Perm); 3]),
                    (Some(Role::Admin), [Err(Perm); 3]),
                    (Some(Role::Service), [Err(Perm); 3]),
                ],
            ),
        ];
        for (name, access, rows) in table {
            for (role, expected) in rows {
                let caller = role.map(identity);
                let fields = [Some(ME), Some(OTHER), None];
                for (field, expected) in fields.into_iter().zip(expected) {
                    let got = authorize(&access, caller.as_ref(), field);
                    assert_eq!(got, expected, "{name}: {role:?} asks for {field:?}");
                }
            }
        }
    }

    /// Every combination of access, caller and field against the meaning of each part by itself.
    #[test]
    fn every_combination() {
        let role_sets: [&'static [Role]; 8] = [
            &[],
            &[Role::Customer],
            &[Role::Admin],
            &[Role::Service],
            &[Role::Customer, Role::Admin],
            &[Role::Customer, Role::Service],
            &[Role::Admin, Role::Service],
            &[Role::Customer, Role::Admin, Role::Service],
        ];
        let callers = [
            None,
            Some(Role::Customer),
            Some(Role::Admin),
            Some(Role::Service),
        ];
        let mut allowed = 0;
        for roles in role_sets {
            for (anyone, owner) in [(false, false), (false, true), (true, false), (true, true)] {
                for self_field in [None, Some("user_id")] {
                    let access = Access {
                        anyone,
                        roles,
                        self_field,
                        owner,
                    };
                    for role in callers {
                        for field in [None, Some(""), Some(ME), Some(OTHER)] {
                            let reasons = [
                                anyone,
                                role.is_some_and(|role| roles.contains(&role)),
                                role.is_some() && self_field.is_some() && field == Some(ME),
                                role == Some(Role::Customer) && owner,
                            ];
                            let expected = match (reasons.contains(&true), role) {
                                (true, _) => Ok(()),
                                (false, None) => Err(Denied::Unauthenticated),
                                (false, Some(_)) => Err(Denied::PermissionDenied),
                            };
                            let caller = role.map(identity);
                            let got = authorize(&access, caller.as_ref(), field);
                            assert_eq!(got, expected, "{access:?} {role:?} {field:?}");
                            allowed += usize::from(got.is_ok());
                        }
                    }
                }
            }
        }
        // By hand: half of the 1024 are open to anyone; of the other half a customer gets 100 and
        // an admin and a service 72 each.
        assert_eq!(allowed, 512 + 100 + 72 + 72);
    }

    #[test]
    fn a_row_is_for_its_owner_and_the_roles() {
        let owner_or_admin = Access {
            roles: &[Role::Admin],
            owner: true,
            ..NOBODY
        };
        let owner_only = Access {
            owner: true,
            ..NOBODY
        };
        let admin_only = Access {
            roles: &[Role::Admin],
            ..NOBODY
        };
        let anyone = Access {
            anyone: true,
            ..NOBODY
        };
        let denied = Err(Denied::PermissionDenied);
        let unauthenticated = Err(Denied::Unauthenticated);
        let table = [
            (owner_or_admin, None, ME, unauthenticated),
            (owner_or_admin, Some(Role::Customer), ME, Ok(())),
            (owner_or_admin, Some(Role::Customer), OTHER, denied),
            (owner_or_admin, Some(Role::Admin), OTHER, Ok(())),
            (owner_or_admin, Some(Role::Service), ME, denied),
            (owner_only, Some(Role::Customer), ME, Ok(())),
            (owner_only, Some(Role::Customer), OTHER, denied),
            (owner_only, Some(Role::Admin), ME, denied),
            (admin_only, Some(Role::Customer), ME, denied),
            (admin_only, Some(Role::Admin), OTHER, Ok(())),
            (anyone, None, OTHER, Ok(())),
        ];
        for (access, role, owner_id, expected) in table {
            let caller = role.map(identity);
            let got = authorize_owner(&access, caller.as_ref(), owner_id);
            assert_eq!(got, expected, "{access:?} {role:?} {owner_id}");
        }
    }
}
