// Made from the OpenAPI document by `npm run schema`. Do not edit it.

export interface paths {
    "/admin/failure-rate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sets how the simulated payment provider behaves, for every instance at once.
         * @description Who may call it: admins. gRPC: `payment.PaymentService/SetFailureRate`.
         */
        post: operations["SetFailureRate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/fleet": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists all functions, jobs and services of the edge, with their instances.
         * @description It starts nothing but itself, and reads only what the engine knows already. What an engine does not know is absent, and named in `missing`.
         *
         *     Who may call it: admins. gRPC: `ops.FleetService/ListFunctions`.
         */
        get: operations["ListFunctions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/voids/cart/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Records that tokens of a user are void for the functions of this domain.
         * @description The functions of the user domain call it when an account is disabled, for example. An admin may call it, too, and needs to only if such a call cannot be made.
         *
         *     Who may call it: functions, admins. gRPC: `cart.CartService/RecordVoidInCart`.
         */
        put: operations["RecordVoidInCart"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/voids/ops/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Records that tokens of a user are void for the functions of this domain.
         * @description The functions of the user domain call it when an account is disabled, for example. An admin may call it, too, and needs to only if such a call cannot be made.
         *
         *     Who may call it: functions, admins. gRPC: `ops.FleetService/RecordVoidInOps`.
         */
        put: operations["RecordVoidInOps"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/voids/order/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Records that tokens of a user are void for the functions of this domain.
         * @description The functions of the user domain call it when an account is disabled, for example. An admin may call it, too, and needs to only if such a call cannot be made.
         *
         *     Who may call it: functions, admins. gRPC: `order.OrderService/RecordVoidInOrder`.
         */
        put: operations["RecordVoidInOrder"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/voids/payment/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Records that tokens of a user are void for the functions of this domain.
         * @description The functions of the user domain call it when an account is disabled, for example. An admin may call it, too, and needs to only if such a call cannot be made.
         *
         *     Who may call it: functions, admins. gRPC: `payment.PaymentService/RecordVoidInPayment`.
         */
        put: operations["RecordVoidInPayment"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/voids/product/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Records that tokens of a user are void for the functions of this domain.
         * @description The functions of the user domain call it when an account is disabled, for example. An admin may call it, too, and needs to only if such a call cannot be made.
         *
         *     Who may call it: functions, admins. gRPC: `product.ProductService/RecordVoidInProduct`.
         */
        put: operations["RecordVoidInProduct"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Signs in.
         * @description An unknown e-mail and a wrong password have the same answer and take the same time: `success: false` (401 over HTTP). PERMISSION_DENIED with the right password of an account that is disabled.
         *
         *     Who may call it: anyone. gRPC: `user.UserService/AuthenticateUser`.
         */
        post: operations["AuthenticateUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/carts/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reads the cart.
         * @description Who may call it: the user whose id is `user_id`, admins, functions. gRPC: `cart.CartService/GetCart`.
         */
        get: operations["GetCart"];
        put?: never;
        post?: never;
        /**
         * Removes every line, or what an order bought.
         * @description Who may call it: the user whose id is `user_id`, admins, functions. gRPC: `cart.CartService/ClearCart`.
         */
        delete: operations["ClearCart"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/carts/{user_id}/items": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adds a product to the cart; the quantity is added to what is already there.
         * @description Who may call it: the user whose id is `user_id`, admins. gRPC: `cart.CartService/AddToCart`.
         */
        post: operations["AddToCart"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/carts/{user_id}/items/{product_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Sets the quantity of one line, and its name and price to the present ones.
         * @description FAILED_PRECONDITION when there is not enough stock, as for AddToCart. 0 or less removes the line.
         *
         *     Who may call it: the user whose id is `user_id`, admins. gRPC: `cart.CartService/UpdateCartItem`.
         */
        put: operations["UpdateCartItem"];
        post?: never;
        /**
         * Removes one line.
         * @description Who may call it: the user whose id is `user_id`, admins. gRPC: `cart.CartService/RemoveFromCart`.
         */
        delete: operations["RemoveFromCart"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists orders of all users, newest first.
         * @description Who may call it: admins. gRPC: `order.OrderService/ListOrders`.
         */
        get: operations["ListOrders"];
        put?: never;
        /**
         * Turns the caller's cart into an order: reserves the stock, charges, clears the cart.
         * @description Who may call it: the user whose id is `user_id`. gRPC: `order.OrderService/CreateOrder`.
         */
        post: operations["CreateOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/orders/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reads one order.
         * @description If a crash left it half done, it is brought to its end first.
         *
         *     Who may call it: its owner, admins. gRPC: `order.OrderService/GetOrder`.
         */
        get: operations["GetOrder"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/orders/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancels an order that is not shipped yet: the charge is refunded, and the stock is returned.
         * @description An order that is SHIPPED, DELIVERED or FAILED is FAILED_PRECONDITION. An order that is already CANCELLED stays as it is, and is the answer. UNAVAILABLE means that the cancellation has begun and continues; read the order again.
         *
         *     Who may call it: its owner, admins. gRPC: `order.OrderService/CancelOrder`.
         */
        post: operations["CancelOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/orders/{id}/timeline": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reads what became of an order, and when.
         * @description An admin also gets each step of the saga: who did it, how often, and how it ended.
         *
         *     Who may call it: its owner, admins. gRPC: `order.OrderService/GetOrderTimeline`.
         */
        get: operations["GetOrderTimeline"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/orders/{order_id}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Changes an order's status.
         * @description FAILED_PRECONDITION when the present status does not allow it, or when the new status is SHIPPED and the charge does not stand. A status that the order already has changes nothing.
         *
         *     Who may call it: admins. gRPC: `order.OrderService/UpdateOrderStatus`.
         */
        patch: operations["UpdateOrderStatus"];
        trace?: never;
    };
    "/payments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Charges an order through the payment provider, at most once also when it is retried; or undoes that.
         * @description Who may call it: functions, admins. gRPC: `payment.PaymentService/ProcessPayment`.
         */
        post: operations["ProcessPayment"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/payments/{payment_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reads a payment, by its own id or by its order; one that a crash left half done is settled first, as far as the payment provider knows what became of it.
         * @description Who may call it: its owner, admins, functions. gRPC: `payment.PaymentService/GetPaymentStatus`.
         */
        get: operations["GetPaymentStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/products": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the products that are not archived, newest first or in another order, with their exact number.
         * @description With `search`: those that have the words.
         *
         *     Who may call it: anyone. gRPC: `product.ProductService/ListProducts`.
         */
        get: operations["ListProducts"];
        put?: never;
        /**
         * Adds a product to the catalogue.
         * @description Who may call it: admins. gRPC: `product.ProductService/CreateProduct`.
         */
        post: operations["CreateProduct"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/products/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reads one product.
         * @description One that is archived is there for admins alone.
         *
         *     Who may call it: anyone. gRPC: `product.ProductService/GetProduct`.
         */
        get: operations["GetProduct"];
        put?: never;
        post?: never;
        /**
         * Archives a product: it leaves the catalogue, and cannot be put into carts or ordered any more.
         * @description Orders keep it as it was. To archive it again changes nothing.
         *
         *     Who may call it: admins. gRPC: `product.ProductService/ArchiveProduct`.
         */
        delete: operations["ArchiveProduct"];
        options?: never;
        head?: never;
        /**
         * Changes the name, the description and the price of a product: those that the request holds.
         * @description What is in a cart keeps the price at which it was added.
         *
         *     Who may call it: admins. gRPC: `product.ProductService/UpdateProduct`.
         */
        patch: operations["UpdateProduct"];
        trace?: never;
    };
    "/products/{product_id}/inventory": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Adds to or takes from the stock of one product, atomically.
         * @description FAILED_PRECONDITION, with nothing changed, when there is not enough.
         *
         *     With `lines`, it reserves or releases the units of several products: all of them, or none. Then an error names the lines that it is about.
         *
         *     Who may call it: admins, functions. gRPC: `product.ProductService/UpdateInventory`.
         */
        patch: operations["UpdateInventory"];
        trace?: never;
    };
    "/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists accounts, newest first.
         * @description With `search`: those whose e-mail begins so, by e-mail, and after them the others whose name begins so, by name.
         *
         *     Who may call it: admins. gRPC: `user.UserService/ListUsers`.
         */
        get: operations["ListUsers"];
        put?: never;
        /**
         * Signs a customer up.
         * @description ALREADY_EXISTS when the e-mail is taken. All spellings are one e-mail: case, the form of accents (Unicode NFC), width and the form of the domain (UTS 46) do not matter.
         *
         *     Who may call it: anyone. gRPC: `user.UserService/CreateUser`.
         */
        post: operations["CreateUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reads one account.
         * @description Who may call it: the user whose id is `id`, admins. gRPC: `user.UserService/GetUser`.
         */
        get: operations["GetUser"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users/{id}/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Changes the password of an account.
         * @description INVALID_ARGUMENT when `old_password` is not its password. Attempts count together with those to sign in.
         *
         *     All tokens that the user has are void, the caller's too: within a minute after the answer no function takes one. The user signs in with the new password. If a domain could not be told, the answer is OK all the same, and `message` says so; then a job tells it, every minute.
         *
         *     Who may call it: the user whose id is `id`. gRPC: `user.UserService/ChangePassword`.
         */
        post: operations["ChangePassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users/{id}/state": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Disables an account, or enables it again.
         * @description The owner of a disabled account cannot sign in, and the tokens that the owner has are void: within a minute after the answer no function takes one. They stay void when the account is enabled again. UNAVAILABLE, with the account disabled, when a domain could not be told; then a job tells it, every minute.
         *
         *     FAILED_PRECONDITION when admins would disable themselves, or the last admin who is active.
         *
         *     Who may call it: admins. gRPC: `user.UserService/SetUserState`.
         */
        put: operations["SetUserState"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users/{user_id}/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists a user's orders, newest first.
         * @description Who may call it: the user whose id is `user_id`, admins. gRPC: `order.OrderService/ListUserOrders`.
         */
        get: operations["ListUserOrders"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description A product to add.
         *
         *     The path says user_id; where the body says it too, it must say the same.
         */
        AddToCartRequest: {
            /**
             * Format: uuid
             * @description UUID of the product.
             */
            product_id: string;
            /**
             * Format: int32
             * @description Units to add, 1 to 10,000.
             */
            quantity: number;
        };
        /** @description A sign-in. */
        AuthRequest: {
            /** @description The e-mail of the account, in any spelling. Blanks before and after it are removed. */
            email: string;
            /**
             * Format: password
             * @description The password of the account, at most 512 characters: 128 letters, each with up to three separate accents.
             */
            password: string;
        };
        /** @description The outcome of a sign-in. */
        AuthResponse: {
            /** @description Whether the e-mail and the password belong together. */
            success: boolean;
            /** @description A signed JWT (EdDSA), to be sent as `Authorization: Bearer`. Empty without success. */
            token: string;
            /** @description The account. Absent without success. */
            user?: components["schemas"]["User"];
        };
        /**
         * @description Which order to cancel.
         *
         *     The path says id; where the body says it too, it must say the same.
         */
        CancelOrderRequest: Record<string, never>;
        /** @description A cart. */
        Cart: {
            /** @description One line a product. */
            items: components["schemas"]["CartItem"][];
            /**
             * Format: double
             * @description The sum of the lines, exact to the cent.
             */
            total_amount: number;
            /** @description RFC 3339 in UTC, microseconds; empty for a cart that never had a line. */
            updated_at: string;
            /** @description UUID of the user whose cart this is. */
            user_id: string;
        };
        /** @description One line of a cart. */
        CartItem: {
            /** @description UUID of the product. */
            product_id: string;
            /** @description The product's name when it was added. */
            product_name: string;
            /**
             * Format: double
             * @description The product's price when it was added, in the shop's currency.
             */
            product_price: number;
            /**
             * Format: int32
             * @description Units, 1 or more.
             */
            quantity: number;
            /**
             * Format: double
             * @description Price times quantity, exact to the cent.
             */
            total_price: number;
        };
        /** @description The cart after the call. */
        CartResponse: {
            /** @description The cart. */
            cart?: components["schemas"]["Cart"];
            /** @description A line for people; programs do not depend on it. */
            message: string;
            /** @description Always true, because a call that changed nothing is an error. */
            success: boolean;
        };
        /**
         * @description A change of a password.
         *
         *     The path says id; where the body says it too, it must say the same.
         */
        ChangePasswordRequest: {
            /**
             * Format: password
             * @description Another password, by the rules of a sign-up: 8 to 128 characters, and at least 8 after accents are composed (Unicode NFC).
             */
            new_password: string;
            /**
             * Format: password
             * @description The password of the account until now, at most 512 characters, as at sign-in.
             */
            old_password: string;
        };
        /** @description An order to make of the caller's cart. */
        CreateOrderRequest: {
            /** @description How it is paid, such as `credit_card`; empty means `credit_card`. Never a card number. */
            payment_method?: string | null;
            /**
             * Format: uuid
             * @description UUID of the user whose cart is ordered: the caller.
             */
            user_id: string;
        };
        /** @description A product to add. */
        CreateProductRequest: {
            /** @description At most 4,000 characters, in any number of lines; may be empty. */
            description?: string | null;
            /**
             * Format: int32
             * @description Units in stock at the start, 0 to 1,000,000,000.
             */
            inventory?: number | null;
            /** @description 1 to 200 characters. */
            name: string;
            /**
             * Format: double
             * @description 0 to 10,000,000 in the shop's currency, at most two decimals. Required in JSON.
             */
            price: number;
        };
        /** @description A sign-up. */
        CreateUserRequest: {
            /** @description At most 254 characters (RFC 5321, section 4.5.3.1.3). Blanks before and after it are removed. The part before the @ is a name of RFC 8265 (UsernameCaseMapped), and the domain is a name of UTS 46. */
            email: string;
            /** @description The name to show, 1 to 200 characters. */
            name: string;
            /**
             * Format: password
             * @description 8 to 128 characters, and at least 8 after accents are composed (Unicode NFC). Stored as argon2id, with spaces and accents in one form (RFC 8265, OpaqueString).
             */
            password: string;
        };
        /** @description A circuit breaker. */
        FleetBreaker: {
            /** @description What it protects: the function that is called, or a database. */
            name: string;
            /** @description Its state since its last change. */
            state: components["schemas"]["FleetBreakerState"];
        };
        /**
         * @description The state of a circuit breaker.
         *     - `FLEET_BREAKER_STATE_UNSPECIFIED`: Not a state.
         *     - `CLOSED`: Calls pass.
         *     - `HALF_OPEN`: Single calls pass, to see whether it works again.
         *     - `OPEN`: Calls are refused at once.
         * @enum {string}
         */
        FleetBreakerState: "FLEET_BREAKER_STATE_UNSPECIFIED" | "CLOSED" | "HALF_OPEN" | "OPEN";
        /** @description A function, a job, or a service of the edge. Counts begin when the engine starts. */
        FleetFunction: {
            /**
             * Format: int32
             * @description Starts from zero.
             */
            cold_starts?: number;
            /**
             * Format: int32
             * @description Instances that ended without being asked to, or failed to start.
             */
            crashes?: number;
            /** @description Its domain; empty for a service of the edge. */
            domain: string;
            /**
             * Format: int32
             * @description Calls whose code is a failure of the system, such as INTERNAL or UNAVAILABLE. It is absent for services of the edge, which have no codes.
             */
            errors?: number;
            /**
             * Format: int32
             * @description Requests that wait for an instance.
             */
            held?: number;
            /** @description Its instances; of a job, the run that is under way. */
            instances?: components["schemas"]["FleetInstances"];
            /** @description The runs of a job; absent for others. */
            job?: components["schemas"]["FleetJob"];
            /** @description What it is. */
            kind: components["schemas"]["FleetKind"];
            /**
             * Format: int32
             * @description How long the last start took until it was ready, in milliseconds.
             */
            last_start_ms?: number;
            /** @description When the newest instance was started; empty if that is not known, or if there was none. */
            last_started_at: string;
            /**
             * Format: int32
             * @description The most instances at once; absent for a job, of which one runs at once.
             */
            max_scale?: number;
            /** @description Its name, everywhere: `create-order`. */
            name: string;
            /**
             * Format: int32
             * @description Requests that came for it, wake-ups among them.
             */
            requests?: number;
        };
        /** @description Instances, by what they do. */
        FleetInstances: {
            /**
             * Format: int32
             * @description They take no new requests, finish those that they have, and end.
             */
            draining: number;
            /**
             * Format: int32
             * @description They take requests.
             */
            ready: number;
            /**
             * Format: int32
             * @description Started, and not ready yet.
             */
            starting: number;
        };
        /** @description The runs of a job. */
        FleetJob: {
            /**
             * Format: int32
             * @description Runs that failed.
             */
            failures?: number;
            /** @description When the last run began; empty if there was none. */
            last_run_at: string;
            /** @description When the next run is due; empty while it runs, or if that is not known. */
            next_run_at: string;
            /** @description Whether it runs now. */
            running: boolean;
            /**
             * Format: int32
             * @description Runs that have ended.
             */
            runs?: number;
            /** @description When it runs: cron's five fields, in UTC. */
            schedule: string;
        };
        /**
         * @description What a program of the fleet is.
         *     - `FLEET_KIND_UNSPECIFIED`: Not a kind.
         *     - `FUNCTION`: It serves one RPC.
         *     - `JOB`: A schedule starts it.
         *     - `EDGE`: It serves the public edge, and no RPC of a domain.
         * @enum {string}
         */
        FleetKind: "FLEET_KIND_UNSPECIFIED" | "FUNCTION" | "JOB" | "EDGE";
        /** @description A fact that this engine does not know. */
        FleetMissing: {
            /** @description The field that is absent, such as `requests`. */
            field: string;
            /** @description How to get it. */
            how: string;
        };
        /** @description What the gateway says itself. */
        GatewayRefusal: {
            /** @description What is wrong with the token's expiry. */
            exp?: string;
            /** @description What went wrong, for people. */
            message?: string;
            /** @description By which its log knows the request. */
            request_id?: string;
        } | unknown | unknown;
        /** @description The stock after a change. */
        InventoryResponse: {
            /** @description The stock of each product after a change of `lines`, in the order of the request. */
            lines: components["schemas"]["LineInventory"][];
            /** @description A line for people; programs do not depend on it. */
            message: string;
            /**
             * Format: int32
             * @description Units in stock after the change; 0 for a change of `lines`.
             */
            new_inventory: number;
            /** @description Whether the change was made. A change that was not made is an error, so this is true. */
            success: boolean;
        };
        /** @description The stock of one product after a change of several. */
        LineInventory: {
            /**
             * Format: int32
             * @description Units in stock after the change.
             */
            new_inventory: number;
            /** @description UUID of the product. */
            product_id: string;
        };
        /** @description All functions, in the order of the alphabet. */
        ListFunctionsResponse: {
            /** @description Circuit breakers whose state has changed since the engine started. All instances share a state; the next start of the engine knows only changes that come after it. */
            breakers: components["schemas"]["FleetBreaker"][];
            /** @description What runs them: `local` or `knative`. */
            engine: string;
            /** @description Functions, jobs and services of the edge. */
            functions: components["schemas"]["FleetFunction"][];
            /** @description What this engine does not know, and how to get it. */
            missing: components["schemas"]["FleetMissing"][];
            /** @description When this was read. */
            read_at: string;
        };
        /** @description A page of a user's orders. */
        ListOrdersResponse: {
            /** @description Where the next page begins; empty on the last one. */
            next_page_token: string;
            /** @description Newest first. */
            orders: components["schemas"]["Order"][];
            /**
             * Format: int32
             * @description The number of all orders of the user, not of this page.
             */
            total: number;
        };
        /** @description A page of the catalogue. */
        ListProductsResponse: {
            /** @description Where the next page begins; empty on the last one. */
            next_page_token: string;
            /** @description In the order of the request. */
            products: components["schemas"]["Product"][];
            /**
             * Format: int32
             * @description The number of all products, not of this page. With `search`, of those that are found; counting ends at 100.
             */
            total: number;
            /** @description Whether there are more than `total`, which were not counted. */
            total_is_lower_bound: boolean;
        };
        /** @description A page of accounts. */
        ListUsersResponse: {
            /** @description Where the next page begins; empty on the last one. A page may have fewer accounts than `limit` before it. */
            next_page_token: string;
            /**
             * Format: int32
             * @description The number of all accounts, or of those that are found. Counting ends at 1,000, and at 100 with `search`.
             */
            total: number;
            /** @description Whether there are more than `total`, which were not counted. */
            total_is_lower_bound: boolean;
            /** @description In the order of the list. */
            users: components["schemas"]["User"][];
        };
        /** @description An order. */
        Order: {
            /** @description RFC 3339 in UTC, microseconds. */
            created_at: string;
            /** @description UUIDv7. */
            id: string;
            /** @description One line for each product. */
            items: components["schemas"]["OrderItem"][];
            /** @description UUID of the charge; empty until there is one. */
            payment_id: string;
            /** @description Why it is FAILED or CANCELLED, for people; empty otherwise. */
            reason: string;
            /** @description Its status. */
            status: components["schemas"]["OrderStatus"];
            /**
             * Format: double
             * @description The sum of the lines, exact to the cent: what is charged.
             */
            total_amount: number;
            /** @description RFC 3339 in UTC, microseconds; the last change of status. */
            updated_at: string;
            /** @description UUID of the user who ordered. */
            user_id: string;
        };
        /** @description Who drives an order that has not ended, and when it is tried again. */
        OrderDriving: {
            /** @description The function or job that drove it last; empty if an earlier version did. */
            driver: string;
            /**
             * Format: int32
             * @description The number of the last driver.
             */
            fence: number;
            /** @description RFC 3339 in UTC, microseconds. Until then the driver has the order, or the next try waits. */
            lease_until: string;
            /** @description The step that is under way, or that comes next. */
            step: string;
            /** @description As in ListOrdersRequest: nobody drives the order, or a driver has put it off. */
            stuck: boolean;
            /**
             * Format: int32
             * @description How often drivers have put the order off since the last step that was done.
             */
            tries: number;
        };
        /** @description One thing that became of an order. */
        OrderEvent: {
            /** @description RFC 3339 in UTC, microseconds; empty if the time was not recorded. */
            at: string;
            /** @description `placed`, `stock reserved`, `paid`, `shipped`, `delivered`, `refunded` (a charge was given back), `charge undone` (no charge stands; it is not known whether one was made), `stock returned`, `cancelled` or `failed`. */
            event: string;
            /** @description Why it is cancelled or failed, for people; empty for other events. */
            reason: string;
        };
        /** @description One line of an order. */
        OrderItem: {
            /** @description UUID of the product. */
            product_id: string;
            /** @description The product's name when the order was made. */
            product_name: string;
            /**
             * Format: double
             * @description The price of one unit that is charged, in the shop's currency: the price that the cart showed.
             */
            product_price: number;
            /**
             * Format: int32
             * @description Units, 1 or more.
             */
            quantity: number;
            /**
             * Format: double
             * @description Price times quantity, exact to the cent.
             */
            total_price: number;
        };
        /** @description A page of orders of all users. */
        OrderPageResponse: {
            /** @description Where the next page begins; empty on the last one. */
            next_page_token: string;
            /** @description Newest first. */
            orders: components["schemas"]["Order"][];
        };
        /** @description An order, with its outcome. */
        OrderResponse: {
            /** @description A line for people: the reason when it did not succeed. */
            message: string;
            /** @description The order. */
            order?: components["schemas"]["Order"];
            /** @description Whether the request succeeded; false for an order whose payment was declined. */
            success: boolean;
        };
        /**
         * @description The status of an order.
         *     - `ORDER_STATUS_UNSPECIFIED`: Not a status.
         *     - `PENDING`: Recorded; stock is being reserved.
         *     - `PROCESSING`: Stock is reserved; the charge is under way.
         *     - `PAID`: Charged.
         *     - `SHIPPED`: On its way to the customer.
         *     - `DELIVERED`: Arrived.
         *     - `CANCELLED`: Cancelled. The charge is refunded, and the stock is back.
         *     - `FAILED`: Not completed. No charge stands, and the stock is back.
         * @enum {string}
         */
        OrderStatus: "ORDER_STATUS_UNSPECIFIED" | "PENDING" | "PROCESSING" | "PAID" | "SHIPPED" | "DELIVERED" | "CANCELLED" | "FAILED";
        /** @description One step of the saga of an order: one time that a driver began it. */
        OrderStep: {
            /**
             * Format: int32
             * @description How often this step was begun, this time included.
             */
            attempt: number;
            /** @description RFC 3339 in UTC, microseconds. */
            began_at: string;
            /** @description The function or job that began it, such as `create-order`; empty if an earlier version did. */
            driver: string;
            /** @description RFC 3339 in UTC, microseconds; empty while it is under way. */
            ended_at: string;
            /**
             * Format: int32
             * @description The driver's number: each driver that takes the order over has a higher one.
             */
            fence: number;
            /**
             * Format: int32
             * @description Its place in the timeline, from 1 on.
             */
            number: number;
            /** @description `done`, `refused`, `unavailable`, `put off` (it is tried again later), `called off` (the order is cancelled) or `taken over` (by another driver); empty while it is under way. */
            outcome: string;
            /** @description Why it was not done, for people; empty if it was done or is under way. */
            reason: string;
            /** @description `reserving`, `charging`, `clearing the cart`, `refunding`, `releasing`, `shipped` or `delivered`. */
            step: string;
            /** @description The id of the trace that has its spans; empty if there is none. */
            trace_id: string;
        };
        /** @description What became of an order. */
        OrderTimelineResponse: {
            /** @description What is being done now: `reserving stock`, `charging`, `refunding` or `returning stock`; empty otherwise. */
            doing: string;
            /** @description For admins: the driver of an order that has not ended. */
            driving?: components["schemas"]["OrderDriving"];
            /** @description In the order in which they happened. */
            events: components["schemas"]["OrderEvent"][];
            /** @description The order, as it is now. */
            order?: components["schemas"]["Order"];
            /** @description For admins: each step, in the order in which they began. */
            steps: components["schemas"]["OrderStep"][];
        };
        /** @description The outcome of a charge. */
        PaymentResponse: {
            /** @description A line for people: the reason when it did not succeed. */
            message: string;
            /** @description UUID of the payment. */
            payment_id: string;
            /** @description Where it stands. */
            status: components["schemas"]["PaymentStatus"];
            /** @description Whether the order is charged. */
            success: boolean;
        };
        /**
         * @description Where a payment stands.
         *     - `PAYMENT_STATUS_UNSPECIFIED`: Not a status.
         *     - `PENDING`: Recorded, and certainly not charged.
         *     - `PROCESSING`: Perhaps charged: the provider was asked to charge or to refund, and has not answered yet.
         *     - `SUCCESS`: Charged.
         *     - `FAILED`: Not charged, and never to be: declined, or undone before it was charged.
         *     - `CANCELLED`: Charged, and refunded since; never to be charged again.
         * @enum {string}
         */
        PaymentStatus: "PAYMENT_STATUS_UNSPECIFIED" | "PENDING" | "PROCESSING" | "SUCCESS" | "FAILED" | "CANCELLED";
        /** @description A payment. */
        PaymentStatusResponse: {
            /**
             * Format: double
             * @description What was charged, in the shop's currency.
             */
            amount: number;
            /** @description RFC 3339 in UTC, microseconds. */
            created_at: string;
            /** @description UUID of the order. */
            order_id: string;
            /** @description UUID of the payment. */
            payment_id: string;
            /** @description Where it stands. */
            status: components["schemas"]["PaymentStatus"];
        };
        /** @description A problem document (RFC 9457). Some have members of their own beside these, such as the `order_id` of an order that is on its way. */
        Problem: {
            /**
             * @description What went wrong, for programs: the gRPC status' name.
             * @enum {unknown}
             */
            code: "INVALID_ARGUMENT" | "UNAUTHENTICATED" | "PERMISSION_DENIED" | "NOT_FOUND" | "ALREADY_EXISTS" | "FAILED_PRECONDITION" | "ABORTED" | "RESOURCE_EXHAUSTED" | "DEADLINE_EXCEEDED" | "CANCELLED" | "UNAVAILABLE" | "UNIMPLEMENTED" | "INTERNAL";
            /** @description What went wrong, for people. */
            detail: string;
            /** @description Every field that is wrong. */
            errors?: {
                /** @description What it must be. Never the value that it has. */
                description: string;
                /** @description Its path: `price`, `items[2].quantity`; or a header, or `body`. */
                field: string;
            }[];
            /** @description The HTTP status. */
            status: number;
            /**
             * @description What `code` means, for people.
             * @enum {unknown}
             */
            title: "Invalid request" | "Not signed in" | "Not allowed" | "Not found" | "Already exists" | "Not possible in this state" | "Conflict" | "Limit exceeded" | "Out of time" | "Cancelled" | "Unavailable" | "Not implemented" | "Internal error";
            /** @description By which the logs know the call. */
            trace_id: string;
            /**
             * @description No page says more than `code`.
             * @constant
             */
            type: "about:blank";
        };
        /** @description A charge. */
        ProcessPaymentRequest: {
            /**
             * Format: double
             * @description What is charged, in the shop's currency, at most two decimals. Required in JSON, unless it is a refund.
             */
            amount?: number | null;
            /**
             * Format: uuid
             * @description UUID of the order that is paid.
             */
            order_id: string;
            /** @description How it is paid, such as `credit_card`. Never a card number. */
            payment_method?: string | null;
            /** @description Undo instead: no charge of this order stands after it, also when a charge is under way meanwhile. What was charged is refunded, what was not charged yet never will be. `amount` and `payment_method` are not looked at. FAILED_PRECONDITION for the payment of an order, unless a service asks: CancelOrder refunds it, with its order. */
            refund?: boolean | null;
            /**
             * Format: uuid
             * @description UUID of the user who pays.
             */
            user_id: string;
        } | {
            amount: number;
        } | {
            /** @constant */
            refund: true;
        };
        /** @description A product. */
        Product: {
            /** @description RFC 3339 in UTC, microseconds; absent unless the product is archived. */
            archived_at?: string;
            /** @description RFC 3339 in UTC, microseconds. */
            created_at: string;
            /** @description At most 4,000 characters. */
            description: string;
            /** @description UUIDv7. */
            id: string;
            /**
             * Format: int32
             * @description Units that can be sold now; never negative.
             */
            inventory: number;
            /** @description 1 to 200 characters. */
            name: string;
            /**
             * Format: double
             * @description In the shop's currency, two decimals. Exact cents inside; a double only here.
             */
            price: number;
        };
        /** @description A product, with a line for people. */
        ProductResponse: {
            /** @description A line for people; programs do not depend on it. */
            message: string;
            /** @description The product. */
            product?: components["schemas"]["Product"];
        };
        /**
         * @description How a charge fails at the payment provider.
         *     - `PROVIDER_FAILURE_UNSPECIFIED`: Not a failure.
         *     - `GATEWAY_TIMEOUT`: No answer in time; it may have charged. Clients know it as "gateway timeout".
         *     - `INSUFFICIENT_FUNDS`: Declined: an answer, not a failure of the provider.
         *     - `TEMPORARILY_UNAVAILABLE`: It refuses to work for now; it has not charged.
         * @enum {string}
         */
        ProviderFailure: "PROVIDER_FAILURE_UNSPECIFIED" | "GATEWAY_TIMEOUT" | "INSUFFICIENT_FUNDS" | "TEMPORARILY_UNAVAILABLE";
        /**
         * @description Which tokens are void.
         *
         *     The path says user_id; where the body says it too, it must say the same.
         */
        RecordVoidRequest: {
            /**
             * Format: int32
             * @description The user's tokens of all generations before this one are void; 1 to 1,000,000,000.
             */
            generation: number;
        };
        /** @description Which tokens are good. */
        RecordVoidResponse: {
            /**
             * Format: int32
             * @description The first generation whose tokens are good. It is above that of the request if an earlier call has named a higher one.
             */
            generation: number;
            /** @description A line for people; programs do not depend on it. */
            message: string;
        };
        /** @description How the simulated payment provider behaves. */
        SetFailureRateRequest: {
            /**
             * Format: double
             * @description The share of charges that fail, 0 to 1. Required in JSON.
             */
            failure_rate: number;
            /** @description The failures that occur, each as often as the others; none given means all three. */
            failures?: ("GATEWAY_TIMEOUT" | "INSUFFICIENT_FUNDS" | "TEMPORARILY_UNAVAILABLE")[] | null;
            /**
             * Format: int32
             * @description The longest time that the provider takes, in milliseconds; absent leaves it as it is.
             */
            max_delay_ms?: number | null;
            /**
             * Format: int32
             * @description The shortest time that the provider takes, in milliseconds; absent leaves it as it is.
             */
            min_delay_ms?: number | null;
        };
        /** @description How the simulated payment provider behaves now. */
        SetFailureRateResponse: {
            /**
             * Format: double
             * @description The share of charges that fail, 0 to 1.
             */
            failure_rate: number;
            /** @description The failures that occur. */
            failures: components["schemas"]["ProviderFailure"][];
            /**
             * Format: int32
             * @description The longest time that the provider takes, in milliseconds.
             */
            max_delay_ms: number;
            /** @description A line for people; programs do not depend on it. */
            message: string;
            /**
             * Format: int32
             * @description The shortest time that the provider takes, in milliseconds.
             */
            min_delay_ms: number;
        };
        /**
         * @description The state that an account shall have.
         *
         *     The path says id; where the body says it too, it must say the same.
         */
        SetUserStateRequest: {
            /**
             * @description ACTIVE or DISABLED.
             * @enum {string}
             */
            state: "ACTIVE" | "DISABLED";
        };
        /**
         * @description The quantity to set.
         *
         *     The path says user_id and product_id; where the body says it too, it must say the same.
         */
        UpdateCartItemRequest: {
            /**
             * Format: int32
             * @description The new number of units, at most 10,000. 0 or less removes the line. Required in JSON.
             */
            new_quantity: number;
        };
        /**
         * @description A change of stock: of one product, or of the products of a reservation.
         *
         *     The path says product_id; where the body says it too, it must say the same.
         */
        UpdateInventoryRequest: {
            /**
             * Format: int32
             * @description Units to add (positive) or to take (negative), not 0, at most 1,000,000,000 either way. Required, and 0 with `lines`.
             */
            quantity_change: number;
            /** @description UUID of what the units are reserved for, such as an order; empty for a plain change of stock. Required with `lines`. Taking units reserves them and adding them releases that reservation, each done once, also when a call is repeated, in any order: what was released cannot be reserved any more. */
            reservation_id?: string | null;
        };
        /**
         * @description A new status for an order.
         *
         *     The path says order_id; where the body says it too, it must say the same.
         */
        UpdateOrderStatusRequest: {
            /**
             * @description The status to move to.
             * @enum {string}
             */
            status: "PENDING" | "PROCESSING" | "PAID" | "SHIPPED" | "DELIVERED" | "CANCELLED" | "FAILED";
        };
        /**
         * @description A change of a product. A field that is absent stays as it is.
         *
         *     The path says id; where the body says it too, it must say the same.
         */
        UpdateProductRequest: {
            /** @description At most 4,000 characters, in any number of lines; may be empty. */
            description?: string | null;
            /** @description 1 to 200 characters. */
            name?: string | null;
            /**
             * Format: double
             * @description 0 to 10,000,000 in the shop's currency, at most two decimals.
             */
            price?: number | null;
        };
        /** @description An account. */
        User: {
            /** @description RFC 3339 in UTC, microseconds. */
            created_at: string;
            /** @description As it was given at sign-up, without blanks around it. Unique over all spellings. */
            email: string;
            /** @description UUIDv7. */
            id: string;
            /** @description The name to show, 1 to 200 characters. */
            name: string;
            /** @description Whether the owner may use it. */
            state: components["schemas"]["UserState"];
        };
        /** @description An account, with a line for people. */
        UserResponse: {
            /** @description A line for people; programs do not depend on it. */
            message: string;
            /** @description The account. */
            user?: components["schemas"]["User"];
        };
        /**
         * @description Whether the owner of an account may use it.
         *     - `USER_STATE_UNSPECIFIED`: Not a state.
         *     - `ACTIVE`: The owner can sign in.
         *     - `DISABLED`: The owner cannot sign in, and has no token that is good.
         * @enum {string}
         */
        UserState: "USER_STATE_UNSPECIFIED" | "ACTIVE" | "DISABLED";
    };
    responses: {
        /** @description The function broke off its answer. */
        BadGateway: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
            };
        };
        /** @description The request is wrong in every state of the system; `errors` names the fields. */
        BadRequest: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description It exists already (`ALREADY_EXISTS`), the state of the system does not allow it (`FAILED_PRECONDITION`), or something else is under way (`ABORTED`, with Retry-After). */
        Conflict: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body would be larger than 1 MiB, said before it was sent (`Expect: 100-continue`). */
        ExpectationFailed: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
            };
        };
        /** @description The path and the headers are larger than 32 KiB. An edge may say 400 instead, as it does of a single header above 8 KiB. */
        HeadTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description A fault of ours. */
        Internal: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The Idempotency-Key was used before, with another request. */
        KeyReused: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such thing. */
        NotFound: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description It was not done in time. Whether it has an effect is not known: try again under the same Idempotency-Key. */
        OutOfTime: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The path with its query is longer than 8 KiB. */
        PathTooLong: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
            };
        };
        /** @description The token is valid, and its owner may not do this. */
        PermissionDenied: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Resources have no entity tags: `If-Match` is true as `*` alone, and `If-None-Match: *` never where something is changed. Nothing was done. */
        PreconditionFailed: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is larger than 64 KiB; above 1 MiB the gateway says so. */
        TooLarge: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Too many requests from this address, or too many at once. */
        TooManyRequests: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body did not arrive within a minute. Nothing was done. */
        TooSlow: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
            };
        };
        /** @description No token where one is needed, or one that is not valid; or nobody has signed in. */
        Unauthenticated: {
            headers: {
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description It cannot be done now; worth trying again after Retry-After. */
        Unavailable: {
            headers: {
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayRefusal"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is not application/json, or is coded (`Content-Encoding`), which `Accept-Encoding: identity` says. */
        UnsupportedMediaType: {
            headers: {
                "Accept-Encoding": components["headers"]["Accept-Encoding"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                traceresponse: components["headers"]["traceresponse"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
        "Idempotency-Key": string;
        /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
        traceparent: string;
    };
    requestBodies: never;
    headers: {
        /** @description `identity`, where the body was coded: bodies are read as they are. */
        "Accept-Encoding": string;
        /** @description How many requests the tightest limit allows in its window. */
        "RateLimit-Limit": number;
        /** @description How many of them are left. */
        "RateLimit-Remaining": number;
        /** @description Seconds until the window is over. */
        "RateLimit-Reset": number;
        /** @description Seconds after which it is worth trying again. */
        "Retry-After": number;
        /** @description `Bearer`, with `error` when there was a token. */
        "WWW-Authenticate": string;
        /** @description The request's own, or one that the gateway made. */
        "X-Correlation-Id": string;
        /** @description The trace of the call (W3C Trace Context), where a function answered. */
        traceresponse: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    SetFailureRate: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetFailureRateRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SetFailureRateResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ListFunctions: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListFunctionsResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    RecordVoidInCart: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordVoidRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordVoidResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    RecordVoidInOps: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordVoidRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordVoidResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    RecordVoidInOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordVoidRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordVoidResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    RecordVoidInPayment: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordVoidRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordVoidResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    RecordVoidInProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordVoidRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordVoidResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    AuthenticateUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AuthRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            408: components["responses"]["TooSlow"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    GetCart: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user whose cart it is. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CartResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ClearCart: {
        parameters: {
            query?: {
                /** @description UUID of the order that bought the cart; empty to remove every line. With it, only `bought` is removed, and only once for each order, even if the call is repeated. What was added meanwhile stays. */
                order_id?: string;
            };
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user whose cart it is. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CartResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    AddToCart: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user whose cart it is. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AddToCartRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CartResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    UpdateCartItem: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user whose cart it is. */
                user_id: string;
                /** @description UUID of the product. */
                product_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateCartItemRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CartResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    RemoveFromCart: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user whose cart it is. */
                user_id: string;
                /** @description UUID of the product. */
                product_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CartResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ListOrders: {
        parameters: {
            query?: {
                /** @description Only orders of this status; unspecified means all. */
                status?: "ORDER_STATUS_UNSPECIFIED" | "PENDING" | "PROCESSING" | "PAID" | "SHIPPED" | "DELIVERED" | "CANCELLED" | "FAILED";
                /** @description UUID of a user: only that user's orders. Empty means those of all. */
                user_id?: string;
                /** @description Only orders that have not ended, and that nobody drives or that a driver has put off since their last step. The job recover-orders tries them again, each time later. */
                stuck?: boolean;
                /** @description How many orders at the most, 1 to 100; 0 means 20. */
                limit?: number;
                /** @description The `next_page_token` of the page before, with the same filters. */
                page_token?: string;
            };
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderPageResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    CreateOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateOrderRequest"];
            };
        };
        responses: {
            /** @description Created. */
            201: {
                headers: {
                    /** @description The path of what was created: `/orders`. */
                    Location: string;
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    GetOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the order. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    CancelOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the order. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CancelOrderRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    GetOrderTimeline: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the order. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderTimelineResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    UpdateOrderStatus: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the order. */
                order_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateOrderStatusRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ProcessPayment: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProcessPaymentRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PaymentResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    GetPaymentStatus: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the payment, or of its order. */
                payment_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PaymentStatusResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ListProducts: {
        parameters: {
            query?: {
                /** @description How many products at the most, 1 to 100; 0 means 20. */
                limit?: number;
                /** @description How many products to pass over, 0 to 10,000. `page_token` leads to any depth. */
                offset?: number;
                /** @description The `next_page_token` of the page before. Not together with `offset`. It belongs to a list: `search` and `sort` are those of the page before. */
                page_token?: string;
                /** @description Words that the name or the description has: all of them, in any order and case. The last one may be the beginning of a word. Empty for all products. Not together with `offset`. */
                search?: string;
                /** @description The order. Not together with `offset`, unless it is NEWEST. */
                sort?: "PRODUCT_SORT_UNSPECIFIED" | "NEWEST" | "PRICE_ASCENDING" | "PRICE_DESCENDING" | "NAME";
            };
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListProductsResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    CreateProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateProductRequest"];
            };
        };
        responses: {
            /** @description Created. */
            201: {
                headers: {
                    /** @description The path of what was created: `/products`. */
                    Location: string;
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProductResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    GetProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the product. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProductResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ArchiveProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the product. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProductResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    UpdateProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the product. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["UpdateProductRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProductResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    UpdateInventory: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the product. Required, and empty with `lines`. */
                product_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateInventoryRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InventoryResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ListUsers: {
        parameters: {
            query?: {
                /** @description How many accounts at the most, 1 to 100; 0 means 20. */
                limit?: number;
                /** @description The `next_page_token` of the page before, with the same `search`. */
                page_token?: string;
                /** @description How the e-mail or the name begins; empty for all accounts. Case, width, the form of accents and blanks at either end do not matter. A name in a domain that is not ASCII is found once it is complete. */
                search?: string;
            };
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListUsersResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    CreateUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateUserRequest"];
            };
        };
        responses: {
            /** @description Created. */
            201: {
                headers: {
                    /** @description The path of what was created: `/users`. */
                    Location: string;
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    GetUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the account. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ChangePassword: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the account. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangePasswordRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    SetUserState: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 characters, new for each new request. The same key and request give the same answer, and the effect once; the same key with another request is 422, while a request runs under it 409. Each caller has keys of its own; where there is no token, each e-mail address of a request has. Kept for 24 hours. */
                "Idempotency-Key"?: components["parameters"]["Idempotency-Key"];
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the account. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetUserStateRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            414: components["responses"]["PathTooLong"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
    ListUserOrders: {
        parameters: {
            query?: {
                /** @description How many orders at the most, 1 to 100; 0 means 20. */
                limit?: number;
                /** @description The `next_page_token` of the page before. */
                page_token?: string;
            };
            header?: {
                /** @description The trace that the call belongs to (W3C Trace Context); what is not one is not looked at. */
                traceparent?: components["parameters"]["traceparent"];
            };
            path: {
                /** @description UUID of the user. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Correlation-Id": components["headers"]["X-Correlation-Id"];
                    traceresponse: components["headers"]["traceresponse"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListOrdersResponse"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["PermissionDenied"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            414: components["responses"]["PathTooLong"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["BadGateway"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["OutOfTime"];
        };
    };
}
